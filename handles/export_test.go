package handles

// Failure is failure, for the wire forms that no Python makes.
var Failure = failure
