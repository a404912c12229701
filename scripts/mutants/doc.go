// Command mutants breaks a package on purpose, one small change at a time, and tells which changes
// the package's own tests do not notice. `make mutants` runs it.
//
// It draws mutants at random by a seed: a run with the same seed and the same source draws the same
// ones. One that exceeds the time limit is killed. The source is not touched: the compiler gets the
// changed files as an overlay. All mutants are woven into one program, which is one of them when it
// starts; so a mutant costs a run of the tests, and compiling it nothing.
//
// Mutants that no test can kill, because the program does the same with them, are listed with the
// reason in equivalent.txt and do not count.
//
// It is a tool of our own because the known ones change operators only, and what tests miss most
// often are statements and guards that nobody would miss; and because they compile each mutant,
// which takes longer than the tests.
package main
