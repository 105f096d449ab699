"""What happens to a database before the application may use it: role, rights, schema, budget; and the doctor.

Runs in a Lambda function of its own, with an administrator's login that the others never see.
"""
