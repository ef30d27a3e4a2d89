schema: '1.1'
contents: core.fga
