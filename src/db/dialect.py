"""The SQLAlchemy dialect over db.protocol: `postgresql+slotwise`."""

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.pg8000 import PGDialect_pg8000


class SlotwiseDialect(PGDialect_pg8000):
    """PostgreSQL through our pg8000 connection."""

    supports_statement_cache = True


registry.register("postgresql.slotwise", __name__, SlotwiseDialect.__name__)
