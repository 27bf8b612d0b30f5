"""What each subcommand of `billing block` does: ask a module for values, and write them."""

from argparse import Namespace

from billing_core.admin.blocks import blocks
from billing_core.admin.command_line.blocks import KINDS
from billing_core.admin.database import Database
from billing_core.admin.definitions.audit import Author, operator
from billing_core.admin.output import OK, CommandError, Output, Record, readable
from billing_core.block import BlockKind


def block_add(arguments: Namespace, database: Database, output: Output) -> int:
    """Bar a number, a code, an account or a client from now on."""
    wanted = blocks.NewBlock(BlockKind(arguments.kind), arguments.value, arguments.reason, arguments.expires)
    author = Author(operator(), f"block add {arguments.kind} {arguments.value}")
    added = blocks.add(database.engine, wanted, author)
    if output.is_json:
        output.document(added)
    else:
        output.say(told(added))
    return OK


def block_list(arguments: Namespace, database: Database, output: Output) -> int:
    """List what is blocked."""
    with database.engine.connect() as connection:
        columns = blocks.PAST_COLUMNS if arguments.all else blocks.LIST_COLUMNS
        output.records(blocks.listed(connection, with_past=arguments.all), columns)
    return OK


def block_remove(arguments: Namespace, database: Database, output: Output) -> int:
    """Lift a block, named by its id or by what it bars."""
    which = [word for word in (arguments.block, arguments.value) if word is not None]
    author = Author(operator(), " ".join(["block remove", *which]))
    if arguments.value is not None:
        kind = _kind(arguments.block)
        removed = blocks.remove_value(database.engine, kind, arguments.value, author)
    else:
        removed = blocks.remove(database.engine, _id(arguments.block), author)
    if output.is_json:
        output.document(removed)
    else:
        for row in removed:
            output.say(f"block {row['id']}: {_words(row)} is no longer blocked by it")
    return OK


def told(block: Record) -> str:
    """Say what a new block bars, and until when."""
    until = f"until {readable(block['expires_at'])}" if block["expires_at"] else "until removed"
    return f"block {block['id']}: {_words(block)} is blocked {until}"


def _words(row: Record) -> str:
    return f"{row['kind']} {readable(row['value'])}"


def _kind(word: str) -> BlockKind:
    if word not in KINDS:
        raise CommandError(f'"{word}" is no kind of block; write one of {", ".join(KINDS)}')
    return BlockKind(word)


def _id(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 18):
        raise CommandError(
            f'"{word}" is not the id of a block; write an id as `billing block list` shows it,'
            f" or a kind and a value, as in: billing block remove number 442071234567"
        )
    return int(word)
