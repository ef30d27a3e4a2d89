schema: '1.2'
contents:
  - core.txt
  - ''
  - /etc/core.fga
  - ../core.fga
  - sub\..\core.fga
  - core.fga
  - sub/core.fga
  - sub\core.fga
