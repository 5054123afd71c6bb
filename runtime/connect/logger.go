package connect

import (
	"fmt"
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newLogger writes lines of the configured format from the configured level on to w.
func newLogger(c coreConfig, w io.Writer) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(c.Processing.LogLevel)
	if err != nil {
		return nil, fmt.Errorf("processing.log_level: %w", err)
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewConsoleEncoder(encoding)
	if c.Processing.LogFormat == "json" {
		encoder = zapcore.NewJSONEncoder(encoding)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level)), nil
}
