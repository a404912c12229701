// Package names keeps what the names of backends resolve to, as directors see it, and says what
// follows from that for the table.
//
//	Watched  the names that this director looks up, and which addresses it has seen lately
//	Sights   what one director sees: its names, by name and tag
//	Judge    what most directors see, compared with the table
//
// A name server need not give all addresses at once, may give each director others, and may fail
// for a while. So an address that was seen once counts as seen for ten minutes in which the name
// resolves, or three times as long as addresses were missing that came back; time in which it does
// not resolve counts for nothing. What is added needs most directors. What is given up needs that
// none of them has seen it, and that the name resolves for most.
//
// The package looks nothing up and writes nothing: package replica says which directors count, who
// writes, and when. Not safe for concurrent use.
package names
