// Package phrase says in plain English what the messages of the API hold: changes and how they
// went, why users were moved, events. The command line and the web page use the same words.
//
// It owns the words only. What it returns may hold text from outside, such as the names of
// directors: who shows it escapes it for the place.
package phrase
