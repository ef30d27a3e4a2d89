schema: 1.2
contents:
  - true
  - 7
  - [core.fga]
  -
  - core.fga
