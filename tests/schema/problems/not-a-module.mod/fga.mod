schema: '1.2'
contents:
  - whole.fga
  - headless.fga
  - empty.fga
  - misspelt.fga
