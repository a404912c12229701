// Package demo is what the sample directors of "director dev" have around them: backends that greet
// like IMAP servers, users who log in, and, for who wants to watch, trouble that comes and goes.
//
// It owns nothing of a director and knows only what any client of the API may ask and do. All of it
// is on this machine.
package demo
