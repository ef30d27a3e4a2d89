# What the offices share, then a file for each team.
schema: '1.2'
contents:
  - teams/board.fga
  - core.fga
  - teams\wiki.fga
  - teams/late.fga
