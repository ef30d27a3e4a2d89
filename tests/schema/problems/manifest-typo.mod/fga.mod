shcema: '1.2'
content:
  - core.fga
