// Package agent asks the agents of backends how busy these are, by the protocol of HAProxy's
// agent-check: the agent writes a line as soon as somebody connects, for example
//
//	up 75%
//
// and closes. HAProxy 2.6.12 takes the same weight from "75%", "UP 75%" and "ready,up,75%", more
// than 100 too, and only from a line that ends with a line feed. Here that may lack when the agent
// closes.
//
// Of the words of the line, with blanks, commas or tabs between them, only the percentage counts
// here: usual agents tell by it how idle the processor is. Words such as up, drain or maint mean
// the state of a server in HAProxy; here that is the business of operators and of health checks.
// What to do about a busy backend is not the business of this package.
package agent
