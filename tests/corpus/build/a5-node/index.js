const ms = require("ms");
console.log(ms(259200000, { long: true }));
