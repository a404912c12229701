// Command mutants breaks a package on purpose, one small change at a time, and tells which changes
// the package's own tests do not notice. `make mutants` runs it.
//
// It draws mutants at random by a seed: a run with the same seed and the same source draws the same
// ones. A mutant that does not compile does not count; one that exceeds the time limit is killed.
// The source is not touched: the compiler gets the changed file as an overlay.
//
// It is a tool of our own because the known ones change operators only, and what tests miss most
// often are statements and guards that nobody would miss; and because they run all mutants, which
// takes half a day for a package whose tests take seconds.
package main
