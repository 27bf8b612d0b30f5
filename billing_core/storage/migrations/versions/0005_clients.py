"""Every field of a client, templates that give fields to many, and an audit that can be undone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

# What a client of today sets himself: all that differs from what a new client gets.
_OWN = """
    UPDATE client SET own = array_remove(ARRAY[
        'currency',
        CASE WHEN status <> 'active' THEN 'status' END,
        CASE WHEN timezone <> 'UTC' THEN 'timezone' END,
        CASE WHEN reseller_id IS NOT NULL THEN 'reseller' END,
        CASE WHEN tags <> '{}' THEN 'tags' END,
        CASE WHEN bill_by <> 'disconnect' THEN 'bill_by' END,
        CASE WHEN postpaid THEN 'postpaid' END,
        CASE WHEN credit <> 0 THEN 'credit' END,
        CASE WHEN rate_table_id IS NOT NULL THEN 'rate_table' END,
        CASE WHEN capacity IS NOT NULL THEN 'capacity' END,
        CASE WHEN term_rate_table_id IS NOT NULL THEN 'term_rate_table' END,
        CASE WHEN term_capacity IS NOT NULL THEN 'term_capacity' END,
        CASE WHEN locale IS NOT NULL THEN 'locale' END,
        CASE WHEN charge_max IS NOT NULL THEN 'charge_max' END,
        CASE WHEN refuse_losses THEN 'refuse_losses' END,
        CASE WHEN low_balance_threshold IS NOT NULL THEN 'low_balance.threshold' END,
        CASE WHEN low_balance_capacity IS NOT NULL THEN 'low_balance.capacity' END,
        CASE WHEN concurrency <> 'full' THEN 'concurrency.policy' END,
        CASE WHEN concurrency <> 'full' THEN 'concurrency.calls' END,
        CASE WHEN concurrency <> 'full' THEN 'concurrency.seconds' END
    ], NULL) || ARRAY(SELECT 'company.' || key FROM jsonb_each_text(company) WHERE value <> '')"""


_COMMENTS = {
    "client": "`own` names the fields that the client sets himself; others are his template's or default.",
    "audit": "`version` is the catalogue's that the change made, `client_id` the one it is about, if any.",
}


def upgrade() -> None:
    """Add fields that nobody has set yet; what clients have becomes their own, so no template takes it."""
    op.create_table(
        "template",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        comment="Fields that clients have who name the template and do not set them themselves.",
    )
    op.add_column("client", sa.Column("template_id", sa.Integer(), sa.ForeignKey("template.id")))
    op.create_index("ix_client_template_id", "client", ["template_id"])
    for name in ("tax_profile", "panel_login", "panel_password", "payment_terms", "routing_plan"):
        op.add_column("client", sa.Column(name, sa.Text()))
    op.create_index("client_panel_login", "client", ["panel_login"], unique=True)
    for name in ("low_balance_notify_client", "low_balance_notify_admin", "auto_payment_extra_amount"):
        op.add_column("client", sa.Column(name, sa.Numeric()))
    for name in ("hidden_numbers", "panel_enabled", "autoinvoicing", "rate_notification", "auto_payment"):
        op.add_column(
            "client", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text("false"))
        )
    op.add_column("client", sa.Column("invoice_template", sa.Text()))
    op.add_column("client", sa.Column("last_invoiced", sa.Date()))
    for name, default in (("rate_notification_format", "xlsx"), ("rate_notification_type", "all")):
        op.add_column("client", sa.Column(name, sa.Text(), nullable=False, server_default=default))
    op.add_column(
        "client", sa.Column("own", postgresql.ARRAY(sa.Text()), nullable=False, server_default="{}")
    )
    op.execute(_OWN)
    op.create_index("client_by_folded_name", "client", [sa.text("lower(name) text_pattern_ops")])
    op.create_index("ix_client_reseller_id", "client", ["reseller_id"])
    for name, kind in (
        ("version", sa.BigInteger()),
        ("object_id", sa.Integer()),
        ("client_id", sa.Integer()),
    ):
        op.add_column("audit", sa.Column(name, kind))
    op.create_index("audit_by_client", "audit", ["client_id", "id"])
    op.create_index("audit_by_version", "audit", ["version"])
    op.create_index("audit_by_time", "audit", ["at"])
    for table, comment in _COMMENTS.items():
        op.create_table_comment(table, comment)
