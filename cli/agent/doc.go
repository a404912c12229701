// Package agent asks the agents of backends how busy these are, by the protocol of HAProxy's
// agent-check: the agent writes a line as soon as somebody connects, for example
//
//	up 75%
//
// and closes. Of the words of the line, with blanks, commas or tabs between them, only the
// percentage counts here: usual agents tell by it how idle the processor is. Words such as up,
// drain or maint mean the state of a server in HAProxy; here that is the business of operators and
// of health checks. What to do about a busy backend is not the business of this package.
package agent
