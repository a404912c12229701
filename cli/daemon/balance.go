package daemon

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// balanceOptions are the settings for evening out load.
type balanceOptions struct {
	Mode      wire.Balancing
	Source    wire.LoadSource
	AgentPort uint16 // with BusyPercent
}

func (o balanceOptions) forMesh() replica.Balance {
	return replica.Balance{Mode: o.Mode, Source: o.Source}
}

func balanceSettings() []Setting {
	return []Setting{
		{
			Name: "balance", Value: "off|dryrun|on", Default: "off",
			Usage: "let the directors change the weights of backends, by 0.5 to 1.5 times their " +
				"vhost counts, to even out load; with dryrun they only say what they would do",
			read: func(o *Options, s string, _ Environment) error {
				switch s {
				case "off":
					o.Balance.Mode = wire.BalanceOff
				case "dryrun":
					o.Balance.Mode = wire.BalanceDryRun
				case "on":
					o.Balance.Mode = wire.BalanceOn
				default:
					return fmt.Errorf("%q is not off, dryrun or on", s)
				}
				return nil
			},
		},
		{
			Name: "balance-load", Value: "SOURCE", Default: "sessions",
			Usage: "what --balance takes as load: sessions (those of each director's proxies), " +
				"backends (what each backend's doveadm says) or agent:PORT (an agent of " +
				"HAProxy's agent-check on each backend)",
			read: func(o *Options, s string, _ Environment) error {
				port, isAgent := strings.CutPrefix(s, "agent:")
				switch {
				case s == "sessions":
					o.Balance.Source = wire.ProxySessions
				case s == "backends":
					o.Balance.Source = wire.BackendSessions
				case isAgent:
					number, err := strconv.ParseUint(port, 10, 16)
					if err != nil || number == 0 {
						return fmt.Errorf("%q is not agent:PORT", s)
					}
					o.Balance.Source, o.Balance.AgentPort = wire.BusyPercent, uint16(number)
				default:
					return fmt.Errorf("%q is not sessions, backends or agent:PORT", s)
				}
				return nil
			},
		},
	}
}

// checkBalance refuses a source of loads that is not there.
func checkBalance(o Options) []Problem {
	if o.Balance.Mode == wire.BalanceOff {
		return nil
	}
	problem := func(text string) []Problem {
		return []Problem{{Setting: "balance-load", Err: errors.New(text)}}
	}
	switch {
	case o.Balance.Source == wire.ProxySessions && o.Sessions.IPC == "" && o.Sessions.Anvil == "":
		return problem("nothing here lists sessions; give --kick-ipc or --kick-anvil, or take " +
			"backends or agent:PORT")
	case o.Balance.Source == wire.BackendSessions && o.Doveadm.Port == 0:
		return problem("the backends cannot be asked; give --backend-doveadm and " +
			"--backend-doveadm-key")
	}
	return nil
}
