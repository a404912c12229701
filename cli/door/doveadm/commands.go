package doveadm

import "directormesh/cli/api"

// A command reads its arguments and writes its reply. An error ends the connection.
type command func(c *connection, args []string) error

// commands returns all commands by name. Names are case sensitive.
func commands() map[string]command {
	return map[string]command{
		"HOST-LIST":         (*connection).hostList,
		"HOST-LIST-REMOVED": (*connection).hostListRemoved,
		"HOST-SET":          (*connection).hostSet,
		"HOST-UPDATE":       (*connection).hostUpdate,
		"HOST-UP": onBackend(func(ip api.IP) api.Operation {
			return api.BackendUp{IP: ip}
		}),
		"HOST-DOWN": onBackend(func(ip api.IP) api.Operation {
			return api.BackendDown{IP: ip}
		}),
		"HOST-REMOVE": onBackend(func(ip api.IP) api.Operation {
			return api.RemoveBackend{IP: ip}
		}),
		"HOST-FLUSH":       (*connection).hostFlush,
		"HOST-RESET-USERS": (*connection).hostResetUsers,
		"USER-LIST":        (*connection).userList,
		"USER-LOOKUP":      (*connection).userLookup,
		"USER-MOVE":        (*connection).userMove,
		"USER-KICK":        (*connection).userKick,
		"USER-KICK-ALT":    (*connection).userKickAlt,
		"DIRECTOR-LIST":    (*connection).directorList,
		"DIRECTOR-ADD":     (*connection).directorAdd,
		"DIRECTOR-REMOVE":  (*connection).directorRemove,
	}
}

// onBackend makes the command of a change that needs nothing but an address.
func onBackend(operation func(api.IP) api.Operation) command {
	return func(c *connection, args []string) error {
		ip, err := (&arguments{args}).ip()
		if err != nil {
			return err
		}
		return c.carryOut(operation(ip))
	}
}
