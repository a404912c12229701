// Package kicktest is the tests that every kicker must pass. A World stands for the sessions of one
// Dovecot. The test of a kicker makes a server that lists and ends the sessions of a World by the
// protocol of that kicker.
package kicktest
