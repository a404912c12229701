//go:build e2e && bench

package dovecot

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// comparison is all that was measured of the two rivals.
type comparison struct{ rows []*row }

// row is one line of the comparison.
type row struct {
	what   string
	format string
	more   bool         // is better
	values [2][]float64 // of the mesh, of Dovecot; one of each round
}

// measurements notes what was measured of one rival.
type measurements struct {
	to    *comparison
	rival int
}

// less notes a value of which less is better.
func (m *measurements) less(what, format string, value float64) {
	m.note(what, format, false, value)
}

// more notes a value of which more is better.
func (m *measurements) more(what, format string, value float64) {
	m.note(what, format, true, value)
}

func (m *measurements) note(what, format string, more bool, value float64) {
	i := slices.IndexFunc(m.to.rows, func(r *row) bool { return r.what == what })
	if i < 0 {
		i = len(m.to.rows)
		m.to.rows = append(m.to.rows, &row{what: what, format: format, more: more})
	}
	r := m.to.rows[i]
	r.values[m.rival] = append(r.values[m.rival], value)
}

// print prints the medians, and how many times better the mesh was: the median of the rounds, the
// least and the most.
func (c *comparison) print(out io.Writer) error {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "medians\tmesh\tDovecot\tbetter by\tleast\tmost\t")
	for _, r := range c.rows {
		better := r.ratios()
		fmt.Fprintf(w, "%s\t"+r.format+"\t"+r.format+"\t%.2f ×\t%.2f\t%.2f\t\n", r.what,
			median(r.values[0]), median(r.values[1]), median(better), slices.Min(better),
			slices.Max(better))
	}
	return w.Flush()
}

// ratios returns how many times better the mesh was in each round; below 1, it was worse.
func (r *row) ratios() []float64 {
	var all []float64
	for i, mesh := range r.values[0] {
		ratio := r.values[1][i] / mesh
		if r.more {
			ratio = 1 / ratio
		}
		all = append(all, ratio)
	}
	return all
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
