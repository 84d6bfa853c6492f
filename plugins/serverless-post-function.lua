-- Owns the running of Lua functions that stand in the configuration, in the phase that it names, after the other
-- plugins of that phase. Configuration, behaviour and messages are those of APISIX 3.18's plugin of this name.
return require("apisix.plugins.serverless.functions")("serverless-post-function", -2000)
