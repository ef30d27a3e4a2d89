schema: '1.2'
schema: '1.2'
contents: [core.fga]
