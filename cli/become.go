package cli

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"directormesh/cli/api"
)

// SystemBecome makes this process, which root has started, another user's for good: what it may
// read and run is then what that user may.
func SystemBecome(name string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("only root can check as another user; run this as %s", name)
	}
	u, err := user.Lookup(name)
	var unknown user.UnknownUserError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("there is no user %q on this host", name)
	case err != nil:
		return err
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	ids, err := u.GroupIds()
	if err := errors.Join(uidErr, gidErr, err); err != nil {
		return err
	}
	groups := make([]int, 0, len(ids))
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil {
			groups = append(groups, n)
		}
	}
	for _, set := range []func() error{
		func() error { return syscall.Setgroups(groups) },
		func() error { return syscall.Setgid(gid) },
		func() error { return syscall.Setuid(uid) },
	} {
		if err := set(); err != nil {
			return fmt.Errorf("this process cannot become user %s: %s", name, api.Cause(err))
		}
	}
	return nil
}
