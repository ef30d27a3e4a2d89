schema: '1.1'
contents:
  - core.fga
  - board.fga
  - ../wiki.fga
  - wiki.fga
