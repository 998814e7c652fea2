"""What all tables share: the description they are in, and how a number is stored."""

from sqlalchemy import BigInteger, Integer, MetaData

metadata = MetaData()

# BIGINT everywhere but for SQLite's own row number, which must be called INTEGER.
Number = BigInteger()
RowNumber = BigInteger().with_variant(Integer(), "sqlite")
