// Package program says what environment a director gives the operator's programs that it runs.
package program

// Environment returns the environment of such a program: a few variables of the director's own.
// Other variables may hold what does not concern the program, such as settings, or sockets that
// were handed over to the director.
func Environment(lookup func(name string) (string, bool)) []string {
	kept := []string{"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR"}
	env := make([]string, 0, len(kept)) // not nil, which would mean everything
	for _, name := range kept {
		if value, ok := lookup(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
