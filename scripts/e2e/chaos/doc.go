// Package chaos says what is done to a mesh of real directors, and judges what they answer
// meanwhile. It starts nothing: the end-to-end test that plays a schedule does.
//
//	Draw    a schedule of faults, from a seed
//	Judge   answers, commands and faults as they happened, looked at afterwards
//
// The judge knows nothing of rings, hashes or merge laws. It knows who could have told whom: an
// answer is wrong if its director must have known of an earlier one with another backend, and
// nothing had moved the user since. What a director that dies or is cut off may take with it, and
// what two sides of a cut answer differently, is no breach (G3); for how long, Limits say.
package chaos
