"""Create the records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "records",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("payload", JSONB, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="records_pkey"),
        sa.UniqueConstraint("name", name="records_name_key"),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="records_name_length"),
        sa.CheckConstraint("jsonb_typeof(payload) = 'object'", name="records_payload_is_object"),
        sa.CheckConstraint("octet_length(payload::text) <= 32768", name="records_payload_size"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("records")
