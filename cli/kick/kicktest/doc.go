// Package kicktest is the tests that every kicker must pass. A World stands for the sessions of one
// Dovecot; whoever tests a kicker makes a server for it that lists and ends the sessions of a World
// in the way that the kicker speaks.
package kicktest
