"""What is written after `billing` to define and look at clients."""

from pathlib import Path

from billing_core.admin.command_line.arguments import (
    CSV,
    DRY_RUN,
    NAME,
    PARTLY,
    ClientName,
    Subcommand,
    Subcommands,
    argument,
    count,
)
from billing_core.admin.command_line.client_selection import PAGING, STATUS, selection
from billing_core.admin.command_line.fields import setting_flags

UNSET = argument(
    "--unset",
    action="append",
    metavar="FIELD",
    help="give a field, as credit or panel.login, back to the template or to its default",
)

SUBCOMMANDS: Subcommands = {
    ("apply",): Subcommand(
        "changes.apply_commands.apply",
        "Apply definitions files, showing first what changes",
        (
            argument("files", nargs="+", type=Path, metavar="FILE", help="definitions, as billing.toml"),
            DRY_RUN,
            argument("--yes", action="store_true", help="take new prices that give calls away, too"),
        ),
    ),
    ("export",): Subcommand(
        "clients.export_commands.export",
        "Write clients, and what they refer to, as a definitions file that can be applied",
        (
            *selection("all"),
            argument(
                "--guarded",
                action="store_true",
                help="let it only be applied to clients whom nobody changed meanwhile",
            ),
            argument(
                "--secrets",
                action="store_true",
                help="also passwords of accounts, and hashes of those of the client panel",
            ),
        ),
    ),
    ("clients", "list"): Subcommand(
        "clients.client_commands.clients_list",
        "List the clients with their money",
        (STATUS, *PAGING, CSV),
    ),
    ("clients", "search"): Subcommand(
        "clients.client_commands.clients_search",
        "Find clients by any of their fields, and list them",
        (*selection(), *PAGING, CSV),
    ),
    ("clients", "show"): Subcommand(
        "clients.client_commands.clients_show",
        "Show one client",
        (
            NAME,
            argument(
                "--origin",
                action="store_true",
                help="tell of each field who sets it: the client, his template, or nobody: default",
            ),
        ),
    ),
    ("clients", "new"): Subcommand(
        "clients.client_edit_commands.clients_new",
        "Define a new client; a terminal is asked for what no flag says",
        (
            argument("name", nargs="?", metavar="NAME", help="the client's name"),
            *setting_flags(),
            DRY_RUN,
        ),
    ),
    ("clients", "set"): Subcommand(
        "clients.client_edit_commands.clients_set",
        "Set fields of a client, and give others back to his template",
        (
            NAME,
            argument("--name", dest="new_name", metavar="NEW", help="call him so from now on"),
            *setting_flags(),
            UNSET,
            argument(
                "--if-version",
                type=count,
                metavar="N",
                help="change nothing if he was changed after version N of the definitions",
            ),
            DRY_RUN,
        ),
    ),
    ("clients", "mass-edit"): Subcommand(
        "clients.mass_edit_commands.clients_mass_edit",
        "Set fields of all clients that are selected, showing first what changes",
        (
            *selection(),
            argument(
                "--client",
                type=ClientName,
                action="append",
                metavar="NAME",
                help="may be given again",
            ),
            argument(
                "--set",
                action="append",
                metavar="FIELD=VALUE",
                help="set a field, as autoinvoicing.last_invoiced=2026-10-31; may be given again",
            ),
            UNSET,
            DRY_RUN,
            argument("--yes", action="store_true", help="change them instead of asking"),
        ),
    ),
    ("clients", "delete"): Subcommand(
        "clients.client_delete_commands.clients_delete",
        "Delete a client: its panel and accounts are switched off, and all that it has stays",
        (NAME, DRY_RUN, argument("--yes", action="store_true", help="delete it instead of asking")),
    ),
    ("clients", "undelete"): Subcommand(
        "clients.client_delete_commands.clients_undelete",
        "Give a deleted client back the status, the panel and the accounts that he had",
        (NAME, PARTLY, DRY_RUN),
    ),
    ("clients", "full-delete"): Subcommand(
        "clients.client_delete_commands.clients_full_delete",
        "Remove a client for good, with his money, records and accounts; it cannot be undone",
        (
            NAME,
            argument("--yes", action="store_true", help="remove him instead of asking for his name"),
            argument("--force", action="store_true", help="even while calls of his are up"),
        ),
    ),
}
