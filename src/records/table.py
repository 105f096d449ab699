"""The table `records`, as SQLAlchemy Core sees it; migrations make it.

`id` is a bigint identity: eight bytes, and rows are appended to its index. Pages are not cut by it but by `name`,
whose one unique index serves the order, the prefix and the continuation of a page together. For that the name
is collated "C": byte order, which in UTF-8 is code point order, on every server and after every upgrade of its locales.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

NAME_MAX_LENGTH = 200
"""Characters of a name."""
PAYLOAD_MAX_STORED_BYTES = 32 * 1024
"""Bytes of a payload as `jsonb` writes it: numbers without exponents, so one of 5 characters may become one of 300."""

metadata = MetaData()

records = Table(
    "records",
    metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("name", Text(collation="C"), nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("version", Integer, nullable=False, server_default=text("1")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("id", name="records_pkey"),
    UniqueConstraint("name", name="records_name_key"),
    CheckConstraint(f"char_length(name) BETWEEN 1 AND {NAME_MAX_LENGTH}", name="records_name_length"),
    CheckConstraint("jsonb_typeof(payload) = 'object'", name="records_payload_is_object"),
    CheckConstraint(f"octet_length(payload::text) <= {PAYLOAD_MAX_STORED_BYTES}", name="records_payload_size"),
)
