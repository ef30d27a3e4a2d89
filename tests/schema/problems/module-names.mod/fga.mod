schema: '1.2'
contents:
  - none.fga
  - dotted.fga
  - word.fga
  - long.fga
  - two.fga
