package store

import (
	"errors"
	"fmt"

	"directormesh/mesh/record"
	"directormesh/mesh/wire"
)

// Each calls take for each message of a kind that is wanted, in the order in which they were put.
// Skipped is how many of them this release does not know. The error is that of the disk, or says
// that a file is not any more what it was.
func (c *Contents) Each(
	want func(wire.Kind) bool, take func(wire.Message),
) (skipped uint64, err error) {
	for _, p := range c.parts {
		n, err := c.eachOf(p, want, take)
		skipped += n
		if err != nil {
			return skipped, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return skipped, nil
}

func (c *Contents) eachOf(
	p part, want func(wire.Kind) bool, take func(wire.Message),
) (skipped uint64, err error) {
	in, err := c.fs.Open(p.name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	r := record.NewReader(in, p.number, 0)
	for r.At() < p.upTo {
		kind, content, err := r.Next()
		if err != nil {
			return skipped, err
		}
		if kind != messageRecord || len(content) == 0 || !want(wire.Kind(content[0])) {
			continue
		}
		m, err := wire.Decode(content)
		if err != nil {
			skipped++ // of a later release, whose files have this format all the same
			continue
		}
		take(m)
	}
	return skipped, nil
}
