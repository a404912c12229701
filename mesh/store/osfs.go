package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Dir returns the directory at path, which it makes if only the last part of path is missing.
func Dir(path string) (FS, error) {
	if err := os.Mkdir(path, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return ExistingDir(path)
}

// ExistingDir returns the directory at path, which must be there.
func ExistingDir(path string) (FS, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", path)
	}
	return osDir(path), nil
}

// osDir is a directory of the operating system.
type osDir string

func (d osDir) at(name string) string { return filepath.Join(string(d), name) }

// Lock locks the directory itself, which needs neither room nor the right to write.
func (d osDir) Lock() (io.Closer, error) {
	f, err := os.Open(string(d))
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (d osDir) Names() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

func (d osDir) Open(name string) (io.ReadCloser, error) { return os.Open(d.at(name)) }

func (d osDir) Size(name string) (int64, error) {
	info, err := os.Stat(d.at(name))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (d osDir) Create(name string) (File, error) {
	return os.OpenFile(d.at(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
}

func (d osDir) Rename(from, to string) error { return os.Rename(d.at(from), d.at(to)) }

func (d osDir) Remove(name string) error { return os.Remove(d.at(name)) }

func (d osDir) Sync(name string) error {
	f, err := os.OpenFile(d.at(name), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d osDir) SyncDir() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
