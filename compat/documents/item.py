"""What the documents hold."""

COLUMNS = ["number", "name", "qty", "price", "sold", "day", "at", "note"]
# Each is read from, and written to, a column of its own name.
PAIRS = ", ".join(f"{column}: {column}" for column in COLUMNS)
ENTITY = """\
entity: item
key: number
fields:
  number: { type: text, max_length: 20 }
  name:   { type: text, max_length: 100 }
  qty:    { type: whole_number }
  price:  { type: decimal, scale: 6 }
  sold:   { type: yes_no }
  day:    { type: date }
  at:     { type: datetime }
  note:   { type: multiline, max_length: 1000 }
"""
