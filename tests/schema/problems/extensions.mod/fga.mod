schema: '1.2'
contents:
  - board.fga
  - core.fga
