package cli

import (
	"context"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

// costs measures what directors use of their machines under load. It asks only where an address is
// a director's API: an address may also be the socket of a door, or of a Dovecot.
type costs struct {
	clients []*api.Client // nil: cannot be asked
	before  []api.Usage
}

func (inv *invocation) newCosts(c *cli.Context) *costs {
	k := &costs{}
	for _, addr := range inv.addrs(c) {
		client, err := api.NewClient(addr)
		if err != nil {
			client = nil // then the load reports what is wrong with it
		}
		k.clients = append(k.clients, client)
	}
	return k
}

// begin notes what has been used before.
func (k *costs) begin(ctx context.Context) {
	k.before = make([]api.Usage, len(k.clients))
	for i, client := range k.clients {
		if client == nil {
			continue
		}
		var err error
		if k.before[i], err = client.Usage(ctx); err != nil {
			client.Close()
			k.clients[i] = nil
		}
	}
}

// end returns what has been used since, and how much memory is in use now; zero where that is not
// known.
func (k *costs) end(ctx context.Context) []api.Usage {
	used := make([]api.Usage, len(k.clients))
	for i, client := range k.clients {
		if client == nil {
			continue
		}
		// else it has been restarted
		if now, err := client.Usage(ctx); err == nil && now.CPU >= k.before[i].CPU {
			used[i] = api.Usage{CPU: now.CPU - k.before[i].CPU, Memory: now.Memory}
		}
	}
	return used
}

func (k *costs) close() {
	for _, client := range k.clients {
		if client != nil {
			client.Close()
		}
	}
}
