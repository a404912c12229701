// Package webauth decides who may ask a director over the network, and for what. It reads a web
// configuration file in the format of Prometheus' exporter-toolkit, and takes the parsing and the
// TLS part of that library. It does not take the library's handler: a file that is emptied while
// that one runs lets everybody in, and one wrong password after another holds up the right ones.
//
// # What it owns
//
// Policy is what a file says, and Read refuses a file that does not ask for TLS and for users or
// verified client certificates. Rights are the roles and the hosts of the settings. Gate holds one
// of each, looks for edits of the file, and answers for each request who asks: user:NAME for a
// password, cert:SAN for a certificate. Only what was verified here counts, and it has no role
// unless Rights name it.
//
// # What it does not own
//
// Listening, the limits of connections and the pages are the doors'. It serves nothing: Gate.Admit
// says who asks, or the error to answer with.
//
// # Passwords
//
// A password that was right is remembered by a keyed hash until the file has another for the user,
// so that it costs no bcrypt again and waits for nobody. Other passwords are compared one or a few
// at a time. An address has five failures a minute. Beyond that it is refused without a comparison,
// except for users whose password is remembered: each of these may fail five more times a minute
// from there. So who guesses at an address never stops the others there, and gets no more guesses
// from what is remembered. All tables are bounded, and so is the number of comparisons that wait.
package webauth
