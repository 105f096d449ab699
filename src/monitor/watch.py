"""What the monitor is told to look for: the schedule's input, with a default for everything."""

from pydantic import BaseModel, ConfigDict, Field


class Watch(BaseModel):
    """From where on something is worth a warning, and whose sessions may be ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    functions: tuple[str, ...] = ()
    """Names of the functions whose left sessions are ended; none by default."""
    role: str | None = None
    """The role that they log in as, themselves or by its clone; by default the monitor's own."""
    longest_function_s: float = Field(default=900, gt=0)
    """Their longest time-out: whoever holds a transaction for longer has no function any more. By default Lambda's."""
    slots_share: float = Field(default=0.8, gt=0, le=1)
    """How much of the usable slots may be taken."""
    longest_statement_s: float = Field(default=60, gt=0)
    transaction_id_age: int = Field(default=500_000_000, gt=0)
    """Transactions since the oldest row that is not frozen; at 2^31 the server stops."""
    dead_share: float = Field(default=0.2, gt=0, le=1)
    """Which share of a big table's rows may be dead."""
    big_table_rows: int = Field(default=100_000, ge=0)
    """From how many rows on a table is big: then nobody should read all of it."""
    slow_statement_ms: float = Field(default=500, gt=0)
    """A statement's mean time since the last look; as far as pg_stat_statements is installed."""
