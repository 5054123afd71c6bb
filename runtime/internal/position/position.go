// Package position keeps a source's position in a file.
//
// The file is replaced atomically: at every moment it holds a whole position, the newest that Save returned for or the one before. A
// lock keeps a second process of the same connector away, because two would overwrite each other's positions.
package position

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/filelock"
)

// version of the file's format.
const version = 1

// A Store is an open position file. Its methods must not be called concurrently.
type Store struct {
	path      string
	connector string
	lock      *filelock.Lock
}

// file is what stands in the position file.
type file struct {
	Version   int       `json:"version"`
	Connector string    `json:"connector"`
	SavedAt   time.Time `json:"saved_at"`
	Position  []byte    `json:"position"` // base64
	Checksum  string    `json:"checksum"` // SHA-256 over connector, a zero byte and position
}

// Open locks the position file of connector in dir, which is made when missing. A file that another process has locked is an error
// that names the process.
func Open(dir, connector string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the position file: %w; name another with state_dir", err)
	}
	path := filepath.Join(dir, connector+".position.json")
	lock, err := filelock.Acquire(path + ".lock")
	var held *filelock.HeldError
	switch {
	case errors.As(err, &held):
		return nil, fmt.Errorf("position %s is in use by process %s; stop it, or give this connector another connector_name or state_dir",
			path, held.Holder)
	case err != nil:
		return nil, fmt.Errorf("lock position: %w", err)
	}
	return &Store{path: path, connector: connector, lock: lock}, nil
}

// Path is the position file's.
func (s *Store) Path() string { return s.path }

// Load gives the stored position, nil when there is none. A file that is damaged or of another connector is an error: to begin anew
// is for its owner to decide.
func (s *Store) Load() ([]byte, error) {
	text, err := os.ReadFile(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read position: %w", err)
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, s.damaged(err.Error())
	}
	switch {
	case f.Version != version:
		return nil, s.damaged(fmt.Sprintf("its format is version %d and this program reads version %d", f.Version, version))
	case f.Connector != s.connector:
		return nil, s.damaged(fmt.Sprintf("it belongs to connector %q", f.Connector))
	case f.Checksum != checksum(f.Connector, f.Position):
		return nil, s.damaged("its checksum does not match")
	}
	return f.Position, nil
}

func (s *Store) damaged(why string) error {
	return fmt.Errorf("position file %s cannot be used: %s; restore it from a copy, or move it away to begin anew", s.path, why)
}

// Save stores position; it is on disk when Save returns nil.
func (s *Store) Save(position []byte) error {
	text, err := json.MarshalIndent(file{
		Version: version, Connector: s.connector, SavedAt: time.Now().UTC(), Position: position,
		Checksum: checksum(s.connector, position),
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := replace(s.path, append(text, '\n')); err != nil {
		return fmt.Errorf("store position: %w", err)
	}
	return nil
}

// Close gives the lock back.
func (s *Store) Close() error { return s.lock.Release() }

func checksum(connector string, position []byte) string {
	sum := sha256.Sum256(append(append([]byte(connector), 0), position...))
	return hex.EncodeToString(sum[:])
}

// replace puts data in place of path: written beside it and synced first, so that a crash leaves the old file or the new one.
func replace(path string, data []byte) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
