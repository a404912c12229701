// Package doctor finds what is wrong with a mesh and with the hosts of its directors. Each director
// examines its own host and reports on itself (Host, Report); the director that is asked compares
// the reports (Mesh). A finding says in a line what is wrong and what to do.
//
// A healthy mesh has no findings: what may be on purpose, or passes by itself within seconds, is
// none.
package doctor
