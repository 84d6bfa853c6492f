-- A module that stands beside the blocks.
return { name = "beside" }
