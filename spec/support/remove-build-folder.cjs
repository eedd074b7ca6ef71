module.exports = require('./build-folder.cjs').remove
