-- Answers every request of its route, so that no upstream is measured.
return {
    version = 0.1, priority = 1, name = "bench-answer", schema = { type = "object" },
    access = function()
        return 200, "ok"
    end,
}
