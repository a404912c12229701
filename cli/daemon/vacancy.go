package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/dovecot"
	"directormesh/cli/vacant"
	"directormesh/mesh"
	"directormesh/mesh/replica"
	"directormesh/mesh/wording"
	"directormesh/ring"
)

// doveadmOptions are the settings for asking backends themselves.
type doveadmOptions struct {
	Port uint16 // 0: they are not asked
	TLS  bool
	Key  string
}

func doveadmSettings() []Setting {
	return []Setting{
		{
			Name: "backend-doveadm", Value: "PORT[+tls]", Default: "",
			Usage: "port of doveadm's HTTP API on each backend, to let a moved user in again as " +
				"soon as the old backend has no session left (default: backends are not asked)",
			read: func(o *Options, s string, _ Environment) error {
				if s == "" {
					return nil
				}
				port, option, optional := strings.Cut(s, "+")
				number, err := strconv.ParseUint(port, 10, 16)
				if err != nil || number == 0 || optional && option != "tls" {
					return fmt.Errorf("%q is not PORT or PORT+tls", s)
				}
				o.Doveadm.Port, o.Doveadm.TLS = uint16(number), optional
				return nil
			},
		},
		{
			Name: "backend-doveadm-key", Value: "FILE", Default: "",
			Usage: "the backends' doveadm_api_key, in one line (default: none)",
			differ: func(before, after Options) bool {
				return before.Doveadm.Key != after.Doveadm.Key
			},
			read: func(o *Options, s string, env Environment) error {
				if s == "" {
					return nil
				}
				if err := checkSecretFile(s, "give the backends another key", env); err != nil {
					return err
				}
				raw, err := env.ReadFile(s)
				if err != nil {
					return fmt.Errorf("%s cannot be read: %s", s, api.Cause(err))
				}
				o.Doveadm.Key = strings.TrimRight(string(raw), "\r\n")
				if o.Doveadm.Key == "" || strings.ContainsAny(o.Doveadm.Key, "\r\n") {
					return fmt.Errorf("%s is not one line with the key", s)
				}
				return nil
			},
		},
	}
}

// checkDoveadm refuses a port without a key, and a key without a port.
func checkDoveadm(o Options) []Problem {
	switch port, key := o.Doveadm.Port != 0, o.Doveadm.Key != ""; {
	case port && !key:
		return []Problem{{Setting: "backend-doveadm", Err: errors.New(
			"the backends want a key; give --backend-doveadm-key")}}
	case key && !port:
		return []Problem{{Setting: "backend-doveadm-key", Err: errors.New(
			"nothing uses the key; give the port with --backend-doveadm")}}
	}
	return nil
}

// vacancy asks backends for the mesh. It implements mesh.Vacancy.
type vacancy struct{ backends *vacant.Backends }

// newVacancy returns what asks the backends; nil if the settings do not say how.
func newVacancy(
	o Options, hash func(login string) ring.UserHash, log zerolog.Logger,
) *vacancy {
	if o.Doveadm.Port == 0 {
		return nil
	}
	asker := dovecot.NewDoveadm(o.Doveadm.Port, o.Doveadm.TLS, o.Doveadm.Key)
	return &vacancy{vacant.New(asker, hash, func(backend netip.Addr, err error) {
		log.Warn().Err(wording.Plain(err)).Str("backend", ring.AddrText(backend)).
			Msg("backend cannot be asked for sessions, moved users wait for the kick delay")
	})}
}

// forMesh is the vacancy as the mesh takes it.
func (v *vacancy) forMesh() mesh.Vacancy {
	if v == nil {
		return nil
	}
	return v
}

// Vacant implements mesh.Vacancy.
func (v *vacancy) Vacant(ctx context.Context, ask replica.AskVacant) bool {
	return v.backends.Wait(ctx, ask.Backend, ask.Hash, ask.Within)
}

func (v *vacancy) close() {
	if v != nil {
		v.backends.Close()
	}
}
