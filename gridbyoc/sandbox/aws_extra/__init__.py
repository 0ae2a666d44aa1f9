"""What the local AWS answers where moto does not: a layer in front of moto's application.

One file per API. Each says in its docstring which API's shape it follows; requests are read and answers are written
through botocore's service models; the tests hold every answer to what botocore's own parser makes of it. Everything
that is not named in ``extras`` goes to moto untouched.
"""
