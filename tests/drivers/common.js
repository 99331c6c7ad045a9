// What the Node driver programs share.
'use strict';

const line = (text) => console.log(text.replace(/\s+/g, ' '));

async function check(name, expected, action) {
  try {
    const got = JSON.stringify(await action());
    const want = JSON.stringify(expected);
    line(got === want ? `ok ${name}` : `FAIL ${name} expected ${want}, got ${got}`);
  } catch (e) {
    line(`FAIL ${name} ${e}`);
  }
}

// Prints the fields that `report` finds in the error that `action` must end with.
async function refused(name, report, action) {
  try {
    await action();
    line(`FAIL ${name} the statement was not refused`);
  } catch (e) {
    line(`refused ${name} ` + report(e).map((f) => f || '').join('|'));
  }
}

module.exports = {
  check,
  refused,
  finish: () => line('done'),
  expectRefusals: (process.env.EXPECT_REFUSALS || 'yes') === 'yes',
};
