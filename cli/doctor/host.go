package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"directormesh/cli/api"
)

// Limits of a host, below which there is a finding.
const (
	// fewDescriptors is for a mesh of a few directors and some thousand clients.
	fewDescriptors = 4096
	lowPart        = 20 // of the disk: 5 %
	lowBytes       = 256 << 20
	authTime       = 2 * time.Second
)

// Host is what a director knows of its host and its own settings. Zero values are not examined.
type Host struct {
	Name string // of the director
	// Sockets are where Dovecot connects to this director, with the user that it has there.
	Sockets []Socket
	Auths   []string // sockets of Dovecot's auth
	FIFOs   []string // that this director should read
	// DovecotUser finds users of Dovecot; nil: the system's.
	DovecotUser func(name string) (*user.User, error)

	Descriptors uint64
	NoKicker    bool
	DataDir     string
	DataProblem string
	// Free returns how much of a disk is free, and how much there is; nil: the system's.
	Free func(dir string) (free, all uint64, err error)
	// OwnAddress says that this director hears its own address under another name; "": it does not
	OwnAddress string

	Login, Userdb bool // the doors for logins and for LMTP are open
	HashFormat    string
	// Doveconf returns what Dovecot's configuration says of a setting, "" if that is not known.
	Doveconf func(ctx context.Context, setting string, filter ...string) string
}

// Socket is one to which a program of Dovecot's connects.
type Socket struct{ Path, User, Setting string }

// Findings examines the host.
func (h Host) Findings(ctx context.Context) []api.Finding {
	var all findings
	for _, s := range h.Sockets {
		if why := h.closedTo(s); why != "" {
			all.problem("socket", h.Name, fmt.Sprintf(
				"%s cannot be opened by Dovecot's user %s: %s", s.Path, s.User, why),
				"change --"+s.Setting+"-mode, or the group of the socket")
		}
	}
	for _, path := range h.Auths {
		if err := askAuth(ctx, path); err != nil {
			all.problem("auth", h.Name, fmt.Sprintf(
				"Dovecot's auth at %s does not answer: %s", path, api.Cause(err)),
				"look whether Dovecot runs, and whether this user may open it")
		}
	}
	for _, path := range h.FIFOs {
		if !hasReader(path) {
			all.problem("fifo", h.Name, "nobody reads the FIFO "+path+
				", so that login processes that write to it stand still",
				"let the director have it: start it by systemd's director-notify.socket or by "+
					"Dovecot, see the page on installing")
		}
	}
	if h.Descriptors > 0 && h.Descriptors < fewDescriptors {
		all.warning("descriptors", h.Name, fmt.Sprintf("it may open %d files only", h.Descriptors),
			"set LimitNOFILE=65536 in its unit, or ulimit -n")
	}
	if h.NoKicker {
		all.warning("no_kicker", h.Name, "it cannot end sessions, so moved users keep theirs on "+
			"the old backend", "set --kick-ipc, --kick-anvil or --kick-command")
	}
	if h.OwnAddress != "" {
		all.problem("own_address", h.Name, "it hears its own address under another name: "+
			h.OwnAddress, "give each director an --advertise and a --node-name of its own")
	}
	h.disk(&all)
	h.dovecot(ctx, &all)
	return all
}

func (h Host) disk(all *findings) {
	if h.DataDir == "" {
		return
	}
	if h.DataProblem != "" {
		all.problem("data_dir", h.Name, "the data directory keeps nothing: "+h.DataProblem,
			"give the disk room, or mend it")
	}
	free := h.Free
	if free == nil {
		free = freeOf
	}
	if left, size, err := free(h.DataDir); err == nil && (left < size/lowPart || left < lowBytes) {
		all.warning("disk", h.Name, fmt.Sprintf("the disk of %s has %d MB of %d left", h.DataDir,
			left>>20, size>>20), "make room")
	}
}

func freeOf(dir string) (free, all uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}

// dovecot compares the settings with those of Dovecot on this host.
func (h Host) dovecot(ctx context.Context, all *findings) {
	if h.Doveconf == nil {
		return
	}
	// Only what was set counts: where Dovecot's director is not used its default means nothing.
	if theirs := h.Doveconf(ctx, "director_username_hash", "-n"); theirs != "" &&
		theirs != h.HashFormat {
		all.problem("hash_format", h.Name, fmt.Sprintf("Dovecot hashes users by "+
			"director_username_hash = %s, and the director by %s", theirs, h.HashFormat),
			"give all directors --username-hash "+theirs)
	}
	if !h.Login || !h.Userdb {
		return
	}
	logins := h.Doveconf(ctx, "auth_username_format")
	lmtp := h.Doveconf(ctx, "auth_username_format", "-f", "protocol=lmtp")
	if logins != "" && lmtp != "" && logins != lmtp {
		all.problem("lmtp_name", h.Name, fmt.Sprintf("Dovecot asks for users by "+
			"auth_username_format = %s at logins and by %s in LMTP, so that one user may have two "+
			"backends", logins, lmtp),
			"put the same into protocol lmtp, after what 20-lmtp.conf has")
	}
}

// closedTo says why a user cannot connect to a socket, "" if he can, or is not known here.
func (h Host) closedTo(s Socket) string {
	lookup := h.DovecotUser
	if lookup == nil {
		lookup = user.Lookup
	}
	u, err := lookup(s.User)
	if err != nil || u.Uid == "0" {
		return ""
	}
	groups, err := u.GroupIds()
	if err != nil {
		groups = []string{u.Gid}
	}
	may := func(info fs.FileInfo, bit fs.FileMode) bool {
		owner, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !ok:
			return true
		case strconv.FormatUint(uint64(owner.Uid), 10) == u.Uid:
			return info.Mode()&(bit<<6) != 0
		case contains(groups, strconv.FormatUint(uint64(owner.Gid), 10)):
			return info.Mode()&(bit<<3) != 0
		}
		return info.Mode()&bit != 0
	}
	info, err := os.Stat(s.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return "it is not there"
	}
	if err != nil {
		return ""
	}
	if !may(info, 0o2) {
		return fmt.Sprintf("it has mode %#o", info.Mode().Perm())
	}
	for dir := filepath.Dir(s.Path); ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && !may(info, 0o1) {
			return fmt.Sprintf("%s has mode %#o", dir, info.Mode().Perm())
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}

// askAuth connects to a socket of Dovecot's auth and waits for its first line.
func askAuth(ctx context.Context, path string) error {
	dialer := net.Dialer{Timeout: authTime}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(authTime)); err != nil {
		return err
	}
	line, err := bufio.NewReaderSize(conn, 512).ReadSlice('\n')
	if err == nil && !strings.HasPrefix(string(line), "VERSION\t") {
		return errors.New("something else answers there")
	}
	return err
}

// hasReader reports whether a process has a FIFO open for reading. What is no FIFO has one.
func hasReader(path string) bool {
	if info, err := os.Stat(path); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		return true
	}
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return !errors.Is(err, syscall.ENXIO)
	}
	_ = f.Close() // nothing was written
	return true
}
