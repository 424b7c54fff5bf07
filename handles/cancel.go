package handles

// Cancelled is the class, derived from BaseException, of what is raised in Python code whose context has ended: see
// gilt.Cancellation. Code may catch it to clean up; it is raised again while the task goes on.
const Cancelled ExceptionClass = "gilt.Cancelled"

// ConversionLimitError is the class, derived from ValueError, of a conversion that is larger than gilt's Config.MaxValues or
// Config.MaxBytes allow.
const ConversionLimitError ExceptionClass = "gilt.ConversionLimitError"
