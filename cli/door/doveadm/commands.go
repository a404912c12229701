package doveadm

import "directormesh/cli/api"

// A command reads its arguments and writes its reply. An error ends the connection.
type command func(s *session, args []string) error

// commands returns all commands by name. Names are case sensitive.
func commands() map[string]command {
	return map[string]command{
		"HOST-LIST":         (*session).hostList,
		"HOST-LIST-REMOVED": (*session).hostListRemoved,
		"HOST-SET":          (*session).hostSet,
		"HOST-UPDATE":       (*session).hostUpdate,
		"HOST-UP":           onBackend(func(ip api.IP) api.Operation { return api.BackendUp{IP: ip} }),
		"HOST-DOWN":         onBackend(func(ip api.IP) api.Operation { return api.BackendDown{IP: ip} }),
		"HOST-REMOVE":       onBackend(func(ip api.IP) api.Operation { return api.RemoveBackend{IP: ip} }),
		"HOST-FLUSH":        (*session).hostFlush,
		"HOST-RESET-USERS":  (*session).hostResetUsers,
		"USER-LIST":         (*session).userList,
		"USER-LOOKUP":       (*session).userLookup,
		"USER-MOVE":         (*session).userMove,
		"USER-KICK":         (*session).userKick,
		"USER-KICK-ALT":     (*session).userKickAlt,
		"DIRECTOR-LIST":     (*session).directorList,
		"DIRECTOR-ADD":      (*session).directorAdd,
		"DIRECTOR-REMOVE":   (*session).directorRemove,
	}
}

// onBackend makes the command of a change that needs nothing but an address.
func onBackend(operation func(api.IP) api.Operation) command {
	return func(s *session, args []string) error {
		ip, err := (&arguments{args}).ip()
		if err != nil {
			return err
		}
		return s.change(operation(ip))
	}
}
